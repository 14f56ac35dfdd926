"""From a question to an answer in words: sources, answer, judge."""
