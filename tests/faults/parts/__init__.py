"""What the runs around the service share: the service as a process, a PostgreSQL of one's own, nginx, small disks, loads."""
