"""Pushes files or folders to a registry with ORAS: oras_push.py <folder> <registry> <user> <password> <tag> <path>..."""

import os
import sys

import oras.client

folder, registry, user, password, tag, *paths = sys.argv[1:]
os.chdir(folder)
client = oras.client.OrasClient(hostname=registry, insecure=True, auth_backend="basic")
client.auth.set_basic_auth(user, password)
response = client.push(target=f"{registry}/{tag}", files=paths, disable_path_validation=True)
print(response.headers["Docker-Content-Digest"])
