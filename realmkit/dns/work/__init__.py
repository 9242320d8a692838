"""Work on zones: plans made, guarded, applied, undone and verified."""
