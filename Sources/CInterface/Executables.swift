import CHeader
import Martlet

/// A model made ready.
final class ExecutableObject: Handled {
    static let kind = HandleKind.executable

    let predictor: Predictor

    init(_ predictor: Predictor) { self.predictor = predictor }
}

@_cdecl("mlt_compile")
public func mlt_compile(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ model: OpaquePointer?, _ device: UnsafePointer<CChar>?,
    _ function: UnsafePointer<CChar>?
) -> mlt_status { mlt_compile_with(out, model, device, function, 0) }

@_cdecl("mlt_compile_with")
public func mlt_compile_with(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ model: OpaquePointer?, _ device: UnsafePointer<CChar>?,
    _ function: UnsafePointer<CChar>?, _ threads: Int32
) -> mlt_status {
    status {
        try give(out) {
            let device = try device.map { try text($0, "name of the device") }
            let function = try function.map { try text($0, "name of the function") }
            return try handles.use(model, as: ModelObject.self) {
                ExecutableObject(try Predictor($0.model, device: device, function: function, threads: Int(threads)))
            }
        }
    }
}

@_cdecl("mlt_executable_info")
public func mlt_executable_info(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ executable: OpaquePointer?)
    -> mlt_status
{
    status {
        try give(out) {
            try handles.use(executable, as: ExecutableObject.self) { TextObject(answer(of: $0.predictor).description) }
        }
    }
}

@_cdecl("mlt_plan")
public func mlt_plan(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ executable: OpaquePointer?) -> mlt_status {
    status {
        try give(out) {
            try handles.use(executable, as: ExecutableObject.self) {
                TextObject(answer(of: try $0.predictor.plan).description)
            }
        }
    }
}

@_cdecl("mlt_run")
public func mlt_run(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ outputCount: Int32, _ executable: OpaquePointer?,
    _ inputs: UnsafePointer<OpaquePointer?>?, _ inputCount: Int32
) -> mlt_status {
    status {
        try handles.use(executable, as: ExecutableObject.self) { executable in
            try executable.checkPlace(outputs, outputCount)
            let tensors = try executable.inputs(inputs, inputCount)
            try give(outputs, try executable.predictor.run(tensors).map { TensorObject($0) })
        }
    }
}

@_cdecl("mlt_run_with_state")
public func mlt_run_with_state(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ outputCount: Int32, _ executable: OpaquePointer?,
    _ state: OpaquePointer?, _ inputs: UnsafePointer<OpaquePointer?>?, _ inputCount: Int32
) -> mlt_status {
    status {
        let state = try handles.use(state, as: StateObject.self) { $0.state }
        try handles.use(executable, as: ExecutableObject.self) { executable in
            try executable.checkPlace(outputs, outputCount)
            let tensors = try executable.inputs(inputs, inputCount)
            try give(outputs, try executable.predictor.run(tensors, state: state).map { TensorObject($0) })
        }
    }
}

@_cdecl("mlt_run_batch")
public func mlt_run_batch(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ outputCount: Int32, _ executable: OpaquePointer?,
    _ inputs: UnsafePointer<OpaquePointer?>?, _ inputCount: Int32, _ batch: Int32
) -> mlt_status {
    status {
        try handles.use(executable, as: ExecutableObject.self) { executable in
            guard batch >= 0 else { throw Failure(.invalidArgument, "A batch has no \(batch) elements.") }
            if batch > 0 { try executable.checkPlace(outputs, outputCount) }
            let runs = try (0..<Int(batch)).map { run in
                do {
                    return try executable.inputs(inputs.map { $0 + run * Int(max(inputCount, 0)) }, inputCount)
                } catch let failure as Failure {
                    throw failure.at("Element \(run)")
                }
            }
            let results = try executable.predictor.run(batch: runs)
            try give(outputs, results.flatMap { $0.map { TensorObject($0) } })
        }
    }
}

extension ExecutableObject {
    /// The tensors behind the handles of one run, with the defaults of those left out.
    fileprivate func inputs(_ inputs: UnsafePointer<OpaquePointer?>?, _ count: Int32) throws -> [Tensor] {
        guard count == predictor.inputs.count, inputs != nil || count == 0 else {
            throw Failure(.invalidArgument, "\(count) inputs are given; it takes \(names(predictor.inputs)).")
        }
        var tensors: [Tensor] = []
        tensors.reserveCapacity(Int(count))
        for (index, input) in UnsafeBufferPointer(start: inputs, count: Int(count)).enumerated() {
            if input == nil && predictor.isOptional(index) {
                tensors.append(try predictor.defaultInput(index))
            } else {
                tensors.append(try handles.use(input, as: TensorObject.self) { try $0.known })
            }
        }
        return tensors
    }

    fileprivate func checkPlace(_ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int32) throws {
        guard count == predictor.outputs.count, outputs != nil || count == 0 else {
            throw Failure(
                .invalidArgument,
                "There is room for \(count) outputs; the function has \(names(predictor.outputs)).")
        }
    }
}

/// Hands over all results or, where there is no room for one more handle, none.
func give(_ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ results: [TensorObject]) throws {
    guard let outputs else { return }
    try withUnsafeTemporaryAllocation(of: OpaquePointer.self, capacity: results.count) { made in
        var count = 0
        do {
            for result in results {
                made[count] = try handles.add(result)
                count += 1
            }
        } catch {
            for handle in made[..<count] { try? handles.release(handle) }
            throw error
        }
        for index in 0..<count { outputs[index] = made[index] }
    }
}

private func names(_ ports: [Port]) -> String {
    "\(ports.count): " + ports.map { "'\($0.name)'" }.joined(separator: ", ")
}
