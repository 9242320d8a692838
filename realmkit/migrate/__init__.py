"""A realm change as a plan of tasks, carried out over days: resumable, gated, reversible."""
