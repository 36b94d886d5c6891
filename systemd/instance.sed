# Makes awaitd@.service and awaitd@.socket, for several daemons on one host, out of the units of one.
# The configuration /etc/awaitd/NAME.conf of instance NAME says state = /var/lib/awaitd/NAME, another
# node than the others' and path = /run/awaitd/NAME.sock.
s|^Description=awaitd|& %i|
s|awaitd\.socket|awaitd@%i.socket|g
s|/etc/awaitd/awaitd\.conf|/etc/awaitd/%i.conf|g
s|/run/awaitd/awaitd\.sock|/run/awaitd/%i.sock|
s|^StateDirectory=awaitd|&/%i|
s|^# A SQLite target outside /var/lib/awaitd|&/%i|
