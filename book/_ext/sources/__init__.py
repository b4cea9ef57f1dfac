"""What an editor wrote: how pages and settings are read, checked before anything runs, and cut for an edition."""
