"""Meters of energy on simulated boards."""

import stat

import pytest

from neurorack.complexity import energy


def put(root, files: dict) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


RAPL = "sys/class/powercap/intel-rapl:0"
TREE = {f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": 900_000, f"{RAPL}/max_energy_range_uj": 1_000_000,
        "sys/class/powercap/intel-rapl:0:0/name": "core", "sys/class/powercap/intel-rapl:0:0/energy_uj": 5,
        "sys/class/powercap/intel-rapl:1/name": "psys", "sys/class/powercap/intel-rapl:1/energy_uj": 7}


def test_a_processor_counts_joules_and_begins_again(tmp_path):
    put(tmp_path, TREE)
    meter = energy.meter(tmp_path, "")
    assert meter.name == "RAPL, 1 processor package"         # not its cores apart, not the whole machine
    put(tmp_path, {f"{RAPL}/energy_uj": 950_000})
    assert meter.joules() == pytest.approx(0.05)
    put(tmp_path, {f"{RAPL}/energy_uj": 49_999})             # past the end, from 0 on
    assert meter.joules() == pytest.approx(0.15)
    assert meter.joules() == pytest.approx(0.15)


def test_a_counter_for_root_says_how_to_read_it(tmp_path, monkeypatch):
    put(tmp_path, TREE)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(energy.Rapl, "_read", refuse)
    with pytest.raises(energy.Refused, match="sudo chmod a.r .*energy_uj"):
        energy.meter(tmp_path, "")


def test_a_jetson_tells_what_comes_in(tmp_path):
    chip = "sys/class/hwmon/hwmon3"
    put(tmp_path, {"sys/class/hwmon/hwmon0/name": "cpu_thermal", f"{chip}/name": "ina3221", f"{chip}/in1_label": "VDD_IN", f"{chip}/in1_input": 5000,
                   f"{chip}/curr1_input": 1200, f"{chip}/in2_label": "VDD_CPU_GPU_CV", f"{chip}/in2_input": 5000, f"{chip}/curr2_input": 400})
    meter = energy.meter(tmp_path, "")
    assert meter.name == "INA3221, rail VDD_IN" and meter.power == pytest.approx(6.0)


def test_a_jetson_without_a_common_rail_adds_its_rails(tmp_path):
    chip = "sys/class/hwmon/hwmon1"
    put(tmp_path, {f"{chip}/name": "ina3221", f"{chip}/in1_label": "CPU", f"{chip}/in1_input": 5000, f"{chip}/curr1_input": 1000,
                   f"{chip}/in3_label": "SOC", f"{chip}/in3_input": 2000, f"{chip}/curr3_input": 500})
    assert energy.meter(tmp_path, "").power == pytest.approx(6.0)


def test_an_older_jetson_tells_milliwatts(tmp_path):
    device = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    put(tmp_path, {f"{device}/rail_name_0": "POM_5V_IN", f"{device}/in_power0_input": 2345, f"{device}/rail_name_1": "POM_5V_GPU",
                   f"{device}/in_power1_input": 100})
    meter = energy.meter(tmp_path, "")
    assert meter.name == "INA3221, rail POM_5V_IN" and meter.power == pytest.approx(2.345)


ADC = """ 3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.75000000V
      EXT5V_V volt(24)=5.12000000V
       BATT_V volt(25)=0.00300000V"""


def test_a_pi_5_adds_its_rails(tmp_path):
    assert energy.pmic_watts(ADC) == pytest.approx(0.37 + 1.5)
    tool = tmp_path / "vcgencmd"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{ADC}\nEND\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    assert energy.meter(tmp_path, str(tool)).power == pytest.approx(1.87)


def test_a_pi_4_reports_nothing(tmp_path):
    tool = tmp_path / "vcgencmd"
    tool.write_text("#!/bin/sh\necho 'error=1 error_msg=\"Command not registered\"'\nexit 1\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    assert energy.meter(tmp_path, str(tool)) is None
    assert energy.meter(tmp_path, str(tmp_path / "none")) is None


def test_power_is_summed_over_time():
    now, watts = [0.0], [2.0]
    meter = energy.Powered("test", lambda: watts[0], lambda: now[0])
    now[0], watts[0] = 10.0, 4.0
    assert meter.joules() == pytest.approx(30.0)
    now[0] = 11.0
    assert meter.joules() == pytest.approx(34.0)


def test_energy_of_a_second_of_audio_is_what_playing_takes_more(monkeypatch):
    """On a board that draws 2 W, and 5 W while it plays 0.5 s of audio in 0.1 s: 0.3 J for half a second."""
    now, power = [0.0], [2.0]
    monkeypatch.setattr(energy.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    meter = energy.Powered("test", lambda: power[0], lambda: now[0])

    def play():
        power[0] = 5.0
        meter.joules()
        now[0] += 0.1
        meter.joules()
        power[0] = 2.0

    told = energy.measure(meter, play, 0.5, seconds=4.0)
    assert told["idle_watts"] == pytest.approx(2.0) and told["playing_watts"] == pytest.approx(5.0, rel=0.01)
    assert told["joules_per_second"] == pytest.approx(0.6, rel=0.02) and told["idle_spread_watts"] == pytest.approx(0.0, abs=1e-9)
