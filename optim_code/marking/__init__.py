"""The check of a student's class: its trials, the process that runs them, and the mistakes that have names."""
