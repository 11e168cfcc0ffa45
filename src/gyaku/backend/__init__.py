"""Array namespaces, devices, dtypes, random streams and the few kernels NumPy lacks. No tensor is known here."""
