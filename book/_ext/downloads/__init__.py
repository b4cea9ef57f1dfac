"""What is taken away: notebooks, the student's kit and what keeps answers out of it, the assignment."""
