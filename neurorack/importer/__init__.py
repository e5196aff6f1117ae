"""Foreign models made playable: TorchScript archives read, traced, compiled and proven, with no torch and nothing foreign executed."""
