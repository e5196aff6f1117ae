"""Foreign models made playable: TorchScript archives read, traced, compiled and proven, with no torch and nothing foreign executed."""

LIFTER = 1                            # grows when lifted files of before must be made anew
