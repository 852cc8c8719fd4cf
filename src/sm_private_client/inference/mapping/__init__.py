"""Many rows: windows of calls in flight, in order, with a journal that a new run takes up."""
