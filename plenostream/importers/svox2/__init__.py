"""svox2 checkpoints (.npz) into scenes; the only package that imports dask."""
