// testcontainers for Node, the way a test suite uses it: wait for a line and a port, copy, execute, network, stop.
// Its reaper is an image of its own that no laboratory has; the story removes what it made.
process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
process.env.TESTCONTAINERS_HOST_OVERRIDE = "127.0.0.1";
const assert = require("node:assert");
const { GenericContainer, Network, Wait } = require("testcontainers");

const IMAGE = "busybox:lab";
const serve = "mkdir -p /www; cp /tmp/page /www/index.html; echo ready; exec httpd -f -p 80 -h /www";

async function story() {
  console.log("a server that gets a file before its start");
  const web = await new GenericContainer(IMAGE)
    .withCopyContentToContainer([{ content: "hello", target: "/tmp/page" }])
    .withCommand(["sh", "-c", serve])
    .withExposedPorts(80)
    .withEnvironment({ TIER: "front" })
    .withLabels({ team: "blue" })
    .withWaitStrategy(Wait.forLogMessage("ready"))
    .withStartupTimeout(20000)
    .start();
  const page = await fetch(`http://127.0.0.1:${web.getMappedPort(80)}/`);
  assert.equal(await page.text(), "hello");
  const ran = await web.exec(["sh", "-c", "echo $TIER; exit 3"]);
  assert.equal(ran.exitCode, 3);
  assert.equal(ran.output, "front\n");
  await web.restart();
  await web.stop();

  console.log("a health check");
  const healthy = await new GenericContainer(IMAGE)
    .withCommand(["sleep", "1000"])
    .withHealthCheck({ test: ["CMD-SHELL", "true"], interval: 1000, timeout: 1000, retries: 3, startPeriod: 0 })
    .withWaitStrategy(Wait.forHealthCheck())
    .withStartupTimeout(20000)
    .start();
  await healthy.stop();

  console.log("two on a network");
  const network = await new Network().start();
  const site = await new GenericContainer(IMAGE)
    .withCopyContentToContainer([{ content: "joined", target: "/tmp/page" }])
    .withCommand(["sh", "-c", serve])
    .withNetwork(network)
    .withNetworkAliases("site")
    .withWaitStrategy(Wait.forLogMessage("ready"))
    .start();
  const client = await new GenericContainer(IMAGE)
    .withCommand(["sleep", "1000"])
    .withNetwork(network)
    .withTmpFs({ "/fast": "rw,size=1m" })
    .withWaitStrategy(Wait.forSuccessfulCommand("touch /fast/there"))
    .start();
  const got = await client.exec(["wget", "-qO-", "http://site/"]);
  assert.equal(got.output, "joined");
  await client.stop();
  await site.stop();
  await network.stop();
}

story().then(
  () => console.log("fine"),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
