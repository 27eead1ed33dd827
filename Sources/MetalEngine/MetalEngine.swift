import MIL
