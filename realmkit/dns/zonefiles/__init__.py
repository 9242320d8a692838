"""Zone files: read with the place of every record, edited line by line, written anew."""
