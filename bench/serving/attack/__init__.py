"""``python -m bench.serving attack``: attacks on a real server, one after another, while one honest client asks.

What is promised, for every attack: each request of the honest client, one a second, is answered with its image, and
their 95th percentile is at most ``RATIO_BAR`` times what it is without load. Afterwards the server is healthy, has
about the memory and the open files of before, and ends within its drain time after SIGTERM.

Each attack runs in a process of its own with the lowest priority (nice 19), because attackers, server and honest client
share the machine's cores: what is measured is what the server does, not what an attacker's own work costs. The
attackers have another address of the loopback network than the honest client, so that a bound for each client can tell
them apart. The honest client opens a new connection for every request. The server may open ``OPEN_FILES`` files, the
usual limit of a service.

The rate and the size of every attack are constants in ``attacks.py``, so that two runs can be compared.
"""
