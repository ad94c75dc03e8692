"""What the lessons compute beside training: one file a lesson, arrays in and plain numbers out."""
