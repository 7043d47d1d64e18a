"""Whether an archive can be trusted: certificates of completeness, verification, repair, revisions, the update rule."""
