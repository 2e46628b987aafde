"""What is wanted: the inventory file, its Macs with their merged settings, its services, and the catalog of Mac hardware.

Texts come in, values and errors with file:line go out. Nothing here asks a Mac or opens a connection.
"""
