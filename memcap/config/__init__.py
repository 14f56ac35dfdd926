"""Recipes, and the member that a recipe completes."""
