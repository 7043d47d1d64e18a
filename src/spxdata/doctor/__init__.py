"""What `spxdata doctor` looks at: Terminal, account, disk, clock, configuration, lease."""
