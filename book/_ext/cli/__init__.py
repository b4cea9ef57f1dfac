"""The commands: building, publishing a finished build, the live preview."""
