"""An OPC UA client for the tests, over asyncua.

    read URL [name=value ...]    prints the variables of all zones as one line of JSON
    watch URL NODE               prints each value of a variable, and connects again when the connection is lost

Names: cert, key (files, for encryption), user, password.
"""
import asyncio, json, logging, sys
from asyncua import Client, ua

logging.disable(logging.CRITICAL)
mode, url, *rest = sys.argv[1:]


async def connect(options):
    client = Client(url, timeout=5)
    client.application_uri = "urn:test:client"
    if "cert" in options:
        await client.set_security_string(f"Basic256Sha256,SignAndEncrypt,{options['cert']},{options['key']}")
    if "user" in options:
        client.set_user(options["user"])
        client.set_password(options["password"])
    await client.connect()
    return client


async def read(options):
    client = await connect(options)
    try:
        found = {}
        node = client.get_node("ns=1;s=node")
        for zone in await node.get_children():
            values = {}
            for variable in await zone.get_children():
                value = await variable.read_data_value(raise_on_bad_status=False)
                values[(await variable.read_browse_name()).Name] = value.Value.Value if value.StatusCode.is_good() else None
            found[(await zone.read_browse_name()).Name] = values
        print(json.dumps(found), flush=True)
        if "write" in options:
            await client.get_node(options["write"]).write_value(ua.Variant("x", ua.VariantType.String))
    finally:
        await client.disconnect()


class Printer:
    def datachange_notification(self, node, value, data):
        print(json.dumps(value), flush=True)


async def watch(node):
    while True:
        try:
            client = await connect({})
            subscription = await client.create_subscription(50, Printer())
            await subscription.subscribe_data_change(client.get_node(node))
            while True:
                await client.check_connection()
                await client.get_node("i=2258").read_value()
                await asyncio.sleep(0.1)
        except Exception:
            print('"lost"', flush=True)
            await asyncio.sleep(0.3)


try:
    if mode == "read":
        asyncio.run(read(dict(pair.split("=", 1) for pair in rest)))
    else:
        asyncio.run(watch(rest[0]))
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)
