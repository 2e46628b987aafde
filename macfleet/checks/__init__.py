"""Questions to a Mac or to the fleet; one file per question. Pure: facts in, findings out. No commands are run here."""
