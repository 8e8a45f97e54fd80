"""One file a verb: parse, one call, print. Nothing heavy is imported before a verb is chosen."""
