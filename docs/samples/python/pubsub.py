"""Subscribes a topic through one proxy, publishes through another, and prints what arrives.

Needs Python 3.9 or newer and the package `websockets`.
"""

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request

import websockets

HERE = os.environ.get("PROXY", "http://localhost:8081")
THERE = os.environ.get("PROXY_2", "http://localhost:8082")
TOPIC = "samples-python"


def post(url, body):
    """Posts JSON and returns the answer; an error of the proxy says why."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {error.code}: {json.load(error)['error']}")


async def main():
    # Two of four nodes must have the message before it is given to us.
    post(f"{HERE}/api/v1/subscribe", {"client_id": "python", "topic": TOPIC, "threshold": 0.5})
    address = HERE.replace("http", "ws", 1) + "/api/v1/ws?client_id=python"
    # A message may be longer than the library's default of 1 MiB.
    async with websockets.connect(address, max_size=None) as socket:
        body = {"client_id": "sender", "topic": TOPIC, "message": f"Hello from {os.getpid()}"}
        answer = await asyncio.to_thread(post, f"{THERE}/api/v1/publish", body)
        print(answer["status"], answer["message_id"])
        async for frame in socket:
            delivery = json.loads(frame)
            if "lost" in delivery:  # we read too slowly
                print("lost", delivery["lost"]["messages"], "messages")
                continue
            payload = base64.b64decode(delivery["message"])
            print("received", payload.decode(), "on", delivery["topic"])
            break


asyncio.run(asyncio.wait_for(main(), 30))
