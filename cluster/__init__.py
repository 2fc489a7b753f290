"""Nodes, the coordinator, and everything that touches the world: sockets, files, clocks, the command line.

The machines (`node`, `coordinator` and all they import) are pure; `transport`, `storage`, `control`, `settings`,
`driver` and `cli` are the edge. There is no front door here: the command is the front door.
"""
