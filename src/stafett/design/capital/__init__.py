"""Where money would help most, and whether who pays for it can get it back."""
