// Uses the engine as programs in JavaScript do, through dockerode; ends with 0 when all was as Docker has it.
const assert = require("assert");
const { PassThrough } = require("stream");
const Docker = require("dockerode");

const IMAGE = "busybox:lab";
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace("unix://", "") });

function collect(stream) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve(Buffer.concat(chunks).toString()));
    stream.on("error", reject);
  });
}

async function fails(status, act) {
  try {
    await act();
  } catch (error) {
    assert.strictEqual(error.statusCode, status, error.message);
    return;
  }
  assert.fail(`${status} was expected`);
}

async function main() {
  assert.strictEqual((await docker.ping()).toString(), "OK");
  assert.strictEqual((await docker.info()).OSType, "linux");
  await fails(404, () => docker.getContainer("nosuch").inspect());

  const [out, err] = [new PassThrough(), new PassThrough()];
  const [text, complaint] = [collect(out), collect(err)];
  const [result, finished] = await docker.run(
    IMAGE,
    ["sh", "-c", "echo out; echo err >&2; exit 3"],
    [out, err],
    { Tty: false },
  );
  out.end();
  err.end();
  assert.strictEqual(result.StatusCode, 3);
  assert.deepStrictEqual([await text, await complaint], ["out\n", "err\n"]);
  await finished.remove();

  const box = await docker.createContainer({
    Image: IMAGE,
    Cmd: ["sleep", "1000"],
    name: "box",
    Labels: { tier: "front" },
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { PortBindings: { "80/tcp": [{}] }, Memory: 64 << 20 },
  });
  await box.start();
  const seen = await box.inspect();
  assert.ok(seen.State.Running);
  assert.ok(Number(seen.NetworkSettings.Ports["80/tcp"][0].HostPort) > 0);
  const listed = await docker.listContainers({ filters: { label: ["tier=front"] } });
  assert.deepStrictEqual(listed.map((one) => one.Names), [["/box"]]);

  const exec = await box.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const echoed = new PassThrough();
  const answer = collect(echoed);
  docker.modem.demuxStream(stream, echoed, echoed);
  stream.on("end", () => echoed.end());
  stream.write("ping\n");
  stream.end();
  assert.strictEqual(await answer, "ping\n");
  assert.strictEqual((await exec.inspect()).ExitCode, 0);

  const stats = await box.stats({ stream: false });
  assert.strictEqual(stats.memory_stats.limit, 64 << 20);
  try {
    assert.ok((await box.top()).Processes.length > 0);
  } catch (error) {
    // dockerd starts ps(1) of its own machine, which may be too small to have one.
    assert.ok(error.message.includes('"ps": executable file not found'), error.message);
  }
  const archive = await collect(await box.getArchive({ path: "/etc/hosts" }));
  assert.ok(archive.startsWith("hosts"));

  const events = await docker.getEvents({ filters: { container: ["box"], event: ["die"] } });
  const died = new Promise((resolve) => events.once("data", resolve));
  await box.stop({ t: 0 });
  assert.strictEqual(JSON.parse((await died).toString()).Action, "die");
  events.destroy();
  await box.remove();

  const network = await docker.createNetwork({ Name: "net", Internal: true });
  assert.ok((await network.inspect()).Internal);
  await network.remove();
  const volume = await docker.createVolume({ Name: "cellar" });
  assert.strictEqual((await docker.getVolume("cellar").inspect()).Name, "cellar");
  await docker.getVolume("cellar").remove();
  assert.ok((await docker.df()).Images.length > 0);
  await docker.pruneContainers();
  console.log("fine");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
