"""Files that realmkit renders or copies: the start of a project, later phone configurations."""
