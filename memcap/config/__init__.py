"""What a member is: knobs, recipes, and the member that they complete."""
