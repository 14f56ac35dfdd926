"""What trained nets say of widths: points, frontiers, comparisons, costs."""
