"""The network of a Mac in memory: ports, services, the bridge and the cables."""

import json

PORTS = {1: "en2", 2: "en3", 3: "en4", 4: "en5"}


class NetworkPrograms:
    """A port in the stored bridge can have no service of its own."""

    def _networksetup(self, words, stdin, sudo):
        verb, *rest = words
        match verb:
            case "-listallhardwareports":
                ports = {**{f"Thunderbolt {number}": device for number, device in PORTS.items()}, "Thunderbolt Bridge": "bridge0"}
                listed = "".join(f"\nHardware Port: {name}\nDevice: {device}\n" for name, device in ports.items())
                return listed + "\nVLAN Configurations\n===\n"
            case "-listallnetworkservices":
                rows = (("*" if service.get("off") else "") + name for name, service in self.services.items())
                return "An asterisk (*) denotes that a network service is disabled.\n" + "\n".join(rows) + "\n"
            case "-getinfo":
                service = self.services.get(rest[0])
                if service is None:
                    return 4, f"{rest[0]} is not a recognized network service."
                if "ip" not in service:
                    return "DHCP Configuration\nIP address: \n"
                return f"Manual Configuration\nIP address: {service['ip']}\nSubnet mask: {service['mask']}\nRouter: (null)\n"
            case "-createnetworkservice":
                device = PORTS[int(rest[1].rsplit(" ", 1)[-1])]
                if any(device in bridge["Interfaces"] for bridge in self.stored.values()):
                    return 1, "kSCStatusFailed: the stored bridge has this port"
                self.services[rest[0]] = {"device": device}
            case "-setmanual":
                self.services[rest[0]] |= {"ip": rest[1], "mask": rest[2]}
            case "-setdhcp":
                self.services[rest[0]] = {"device": self.services[rest[0]]["device"]}
            case "-setnetworkserviceenabled":
                self.services[rest[0]].pop("off", None)
                self.services[rest[0]] |= {"off": True} if rest[1] == "off" else {}
        return ""

    def _printenv(self, words, stdin, sudo):
        return f"10.0.0.9 52811 {self.talks_at} 22\n" if self.talks_at else (1, "")

    def _add_member(self, _bridge, member):
        self.members = sorted({*self.members, member})
        return ""

    def _ifconfig(self, words, stdin, sudo):
        if words[1:2] == ["deletem"]:
            self.members.remove(words[2])
        if words != ["-a"]:
            return ""
        addresses = {service["device"]: service["ip"] for service in self.services.values() if "ip" in service}
        text = ""
        for number, device in PORTS.items():
            is_active = number in self.peers
            has_address = is_active and device in addresses
            text += f"{device}: flags=8863<UP> mtu 1500\n"
            text += f"\tinet {addresses[device]} netmask 0xfffffffc broadcast 10.55.255.255\n" if has_address else ""
            text += f"\tstatus: {'active' if is_active else 'inactive'}\n"
        members = "".join(f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n" for member in self.members)
        return text + f"bridge0: flags=8863<UP> mtu 1500\n{members}"

    def _system_profiler(self, words, stdin, sudo):
        return json.dumps({"SPThunderboltDataType": [self._bus(number) for number in PORTS]})

    def _bus(self, number):
        items = [{"domain_uuid_key": self.peers[number], "device_name_key": "Mac16,9"}] if number in self.peers else []
        status = "receptacle_connected" if items else "receptacle_no_devices_connected"
        receptacle = {"receptacle_id_key": str(number), "receptacle_status_key": status, "current_speed_key": "80 Gb/s"}
        return {"domain_uuid_key": f"{self.name}-{number}", "receptacle_1_tag": receptacle, "_items": items}
