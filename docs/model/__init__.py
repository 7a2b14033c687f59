"""The finality and block protocol as a model, searched to the end; docs/model/README.rst says how to read it."""
