"""Hears of every session that opens, and handles each one once.

Run it with RABBITMQ_URL set: it prints each event as one line of JSON.
"""

import json
import os
import sqlite3
import sys
import time

import pika
import pika.exceptions

EXCHANGE, ROUTING_KEY = "matching.events", "match.found"
LONGEST_PAUSE_S = 30


def consume(url, queue, handled, handle):
    """Calls `handle` with each event, and connects again for ever.

    `handled` is a database that remembers what was handled. An event is acknowledged after that is
    stored, so it comes again where this process ends in between, and is known then by its id.
    """
    handled.execute("CREATE TABLE IF NOT EXISTS handled (message_id TEXT PRIMARY KEY, at INTEGER)")
    pause_s = 1
    while True:
        try:
            with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                channel = connection.channel()
                channel.exchange_declare(EXCHANGE, "topic", durable=True)
                channel.queue_declare(queue, durable=True)
                channel.queue_bind(queue, EXCHANGE, ROUTING_KEY)
                channel.basic_qos(prefetch_count=20)
                print(f"listening on {queue}", file=sys.stderr, flush=True)
                pause_s = 1
                for delivery, properties, body in channel.consume(queue):
                    with handled:  # one transaction, which a failing handler rolls back
                        insert = "INSERT OR IGNORE INTO handled VALUES (?, unixepoch())"
                        if handled.execute(insert, [properties.message_id]).rowcount:
                            handle(json.loads(body))
                        # What was handled a month ago does not come again.
                        handled.execute("DELETE FROM handled WHERE at < unixepoch() - 2592000")
                    channel.basic_ack(delivery.delivery_tag)
        except pika.exceptions.AMQPError as fault:
            print(f"again in {pause_s} s: {fault!r}", file=sys.stderr, flush=True)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


if __name__ == "__main__":
    consume(
        os.environ["RABBITMQ_URL"],
        os.environ.get("QUEUE", "match_found_example"),
        sqlite3.connect(os.environ.get("HANDLED", "handled.db")),
        lambda event: print(json.dumps(event), flush=True),
    )
