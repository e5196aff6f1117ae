"""The test rig: a sound card that isn't there, a log of the machine's own stalls, and loads to play under."""
