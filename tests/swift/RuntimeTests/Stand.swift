// What the tests of caches and backends stand on: devices that count, functions of one line.

import MIL
import Synchronization

@testable import Martlet
@testable import Runtime

/// A device that counts what it compiles and may take its time; the CPU computes.
final class CountingDevice: Device {
    let name: String
    let kind = DeviceKind.cpu
    let summary = "counts"
    let availability = Availability.available
    let nanoseconds: Int
    private let compiled = Atomic<Int>(0)
    private let cpu: any Device

    var compileCount: Int { compiled.load(ordering: .relaxed) }

    init(_ name: String = "counting", nanoseconds: Int = 0) throws {
        self.name = name
        self.nanoseconds = nanoseconds
        cpu = try device(named: "cpu")
    }

    func assess(_ call: Call) -> Verdict { cpu.assess(call) }

    func compile(_ function: Function) throws -> any Executable {
        compiled.wrappingAdd(1, ordering: .relaxed)
        System.sleep(nanoseconds: nanoseconds)
        return try cpu.compile(function)
    }
}

/// A device of this name that the CPU plays.
func played(
    _ name: String, kind: DeviceKind = .cpu, availability: Availability = .available, refuses: Set<String> = [],
    fails: PlayedDevice.Fault? = nil, latencyNanoseconds: Int = 0, keeps: Bool = false
) throws -> PlayedDevice {
    PlayedDevice(
        DescribedDevice(name: name, kind: kind, availability: availability, refuses: refuses),
        by: try device(named: "cpu"), fails: fails, latencyNanoseconds: latencyNanoseconds, keeps: keeps)
}

/// x plus a constant.
func plus(_ number: Float, count: Int = 4, dtype: String = "fp32") throws -> Function {
    try Program(
        text: """
            program(1.3) { func main<ios18>(tensor<\(dtype), [\(count)]> x) {
                tensor<\(dtype), [\(count)]> y = add(x = x, y = tensor<\(dtype), []>(\(number)));
            } -> (y); }
            """
    ).function()
}

func ones(_ count: Int = 4) -> Tensor { Tensor([Float](repeating: 1, count: count), shape: [count]) }

func failure(_ body: () throws -> Void) -> Failure? {
    do { try body() } catch { return error as? Failure }
    return nil
}
