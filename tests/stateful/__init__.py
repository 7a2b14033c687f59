"""Random lives of the parts that hold state, each beside a simple model of what it should be."""
