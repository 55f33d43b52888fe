"""Real photographs of people, without truth: what must stay, what was implanted, and who is who."""
