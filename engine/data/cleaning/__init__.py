"""One file a cleaning step, each a generator over documents; `engine/data/clean.py` chains them."""
