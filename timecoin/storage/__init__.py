"""ZODB: the chain store, the journal, the data directory. The only room that imports ZODB."""
