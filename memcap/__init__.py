"""memcap: how many units does a recurrent network need to remember this? Answered by measurement."""

__version__ = "0.1.0"
