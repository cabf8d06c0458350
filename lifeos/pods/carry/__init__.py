"""Between laptop and pod: one archive there, one back, every byte verified before anything is written."""
