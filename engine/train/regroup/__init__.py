"""`regroup`: the same bits at any world size, ZeRO stage and grouping of micro-batches."""
