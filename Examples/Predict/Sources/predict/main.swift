import Martlet

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

let usage = """
    usage: predict MODEL.mlpackage [NAME=FILE.f32 …] [--device NAME] [--function NAME] [--seed N] [--zeros] [--runs N]
    """

do {
    let options = try Options(CommandLine.arguments.dropFirst())
    let clock = ContinuousClock()
    let start = clock.now
    let predictor = try Predictor(contentsOf: options.model, device: options.device, function: options.function)
    print("\(options.model) on \(predictor.device.name), loaded in \(milliseconds(clock.now - start)) ms")
    print("  \(predictor.reason)")
    for (port, shapes) in zip(predictor.inputs, predictor.shapes) {
        print("  input  \(port.name): \(port.type.dtype.name) \(shapes)")
    }
    for port in predictor.outputs { print("  output \(port.name): \(port.type)") }

    var source = Source(seed: options.seed)
    var inputs: [String: Tensor] = [:]
    for (index, port) in predictor.inputs.enumerated() {
        let usual = TensorType(port.type.dtype, predictor.usualShapes[index])
        if let file = options.files[port.name] {
            inputs[port.name] = try tensor(from: file, for: port, usual: usual.shape)
        } else {
            inputs[port.name] = options.zeros ? source.zeros(usual) : source.random(usual)
        }
    }
    if let wrong = options.files.keys.first(where: { inputs[$0] == nil }) {
        throw Failure(.invalidArgument, "There is no input '\(wrong)' to read a file for.")
    }

    let first = clock.now
    var outputs = try predictor(inputs)
    print("first run \(milliseconds(clock.now - first)) ms")
    if options.runs > 0 {
        var times: [Duration] = []
        for _ in 0..<options.runs {
            let start = clock.now
            outputs = try predictor(inputs)
            times.append(clock.now - start)
        }
        times.sort()
        print(
            "\(options.runs) more: median \(milliseconds(times[times.count / 2])) ms, best \(milliseconds(times[0])) ms"
        )
    }
    for port in predictor.outputs {
        guard let output = outputs[port.name] else { continue }
        print("\(port.name) \(output.type): \(beginning(of: output))")
    }
} catch {
    print("\(error)")
    exit(1)
}

/// Milliseconds with three decimals.
func milliseconds(_ duration: Duration) -> String {
    let microseconds = Int(duration / .microseconds(1))
    let rest = String(microseconds % 1000)
    return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
}

/// The first few elements.
func beginning(of tensor: Tensor) -> String {
    let shown = min(tensor.count, 6)
    let elements = (0..<shown).map { index in
        if tensor.dtype == .string { return tensor.strings[index] }
        return tensor.dtype.isFloat ? "\(Float(tensor.double(at: index)))" : "\(tensor.int(at: index) ?? 0)"
    }
    return elements.joined(separator: ", ") + (tensor.count > shown ? ", …" : "")
}
