"""One reader for each format of cameras, and one list of them (`registry`)."""
