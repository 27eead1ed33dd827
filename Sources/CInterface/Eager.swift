import CHeader
import Martlet

/// An op with its constants bound.
final class OpObject: Handled {
    static let kind = HandleKind.op

    let op: EagerOp

    init(_ op: EagerOp) { self.op = op }

    /// Appends the op to the trace that a symbolic input belongs to; tensors with values become constants there.
    func append(_ inputs: [TensorObject]) throws -> [TensorObject] {
        let traces = inputs.compactMap(\.symbol?.trace)
        guard let trace = traces.first, traces.allSatisfy({ $0 === trace }) else {
            throw Failure(.invalidArgument, "op '\(op.op.name)': The inputs belong to different traces.")
        }
        let results = try trace.append { function in
            let ids = inputs.map {
                $0.symbol?.id ?? function.constant($0.tensor, name: "constant_\(function.values.count)")
            }
            return try op.write(ids, in: &function)
        }
        return results.map { TensorObject($0.1, symbol: TensorObject.Symbol(trace: trace, id: $0.0)) }
    }

    /// The results on tensors with values, or symbols where one of the inputs is one.
    func call(_ inputs: [TensorObject]) throws -> [TensorObject] {
        if inputs.contains(where: { $0.symbol != nil }) { return try append(inputs) }
        let pin = try pinned(inputs)
        return try op.call(inputs.map(\.tensor), pin: pin).map { TensorObject($0, pin: pin) }
    }
}

/// The device that tensors were put on; at most one for a call.
private func pinned(_ inputs: [TensorObject]) throws -> Pin? {
    var pin: Pin?
    for input in inputs {
        guard let device = input.pin, device !== pin else { continue }
        if let pin {
            throw Failure(
                .invalidArgument,
                "The inputs are on '\(pin.device.name)' and on '\(device.device.name)'; bring them to one device with "
                    + "to(device).")
        }
        pin = device
    }
    return pin
}

@_cdecl("mlt_op_make")
public func mlt_op_make(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ inputCount: Int32,
    _ inputs: UnsafePointer<UnsafePointer<CChar>?>?, _ constantCount: Int32,
    _ constants: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<OpaquePointer?>?,
    _ backend: OpaquePointer?
) -> mlt_status {
    status {
        try give(out) {
            let names = try texts(inputs, inputCount, "inputs")
            let bound = try texts(constants, constantCount, "constants").enumerated().map { index, name in
                guard let values else { throw Failure(.invalidArgument, "The values of the constants are NULL.") }
                return (name, try handles.use(values[index], as: TensorObject.self) { try $0.known })
            }
            let backend =
                try backend.map { try handles.use($0, as: BackendObject.self) { $0.backend } } ?? .shared
            return OpObject(
                try EagerOp(text(name, "name of the op"), inputs: names, constants: bound, backend: backend))
        }
    }
}

@_cdecl("mlt_call")
public func mlt_call(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ outputCount: UnsafeMutablePointer<Int32>?, _ op: OpaquePointer?,
    _ inputs: UnsafePointer<OpaquePointer?>?, _ inputCount: Int32
) -> mlt_status {
    status {
        let room = try place(outputCount)
        guard let outputs else { throw Failure(.invalidArgument, "The place for the results is NULL.") }
        guard inputCount >= 0, inputs != nil || inputCount == 0 else {
            throw Failure(.invalidArgument, "The inputs are NULL or their number is \(inputCount).")
        }
        let results = try handles.use(op, as: OpObject.self) { op in
            let given = UnsafeBufferPointer(start: inputs, count: Int(inputCount))
            return try op.call(given.map { try handles.use($0, as: TensorObject.self) { $0 } })
        }
        guard results.count <= Int(room.pointee) else {
            throw Failure(.invalidArgument, "There are \(results.count) results and place for \(room.pointee).")
        }
        try give(outputs, results)
        room.pointee = Int32(results.count)
    }
}

@_cdecl("mlt_call1")
public func mlt_call1(_ op: OpaquePointer?, _ x: OpaquePointer?) -> OpaquePointer? {
    var result: OpaquePointer?
    _ = status { result = try call(op, x, brief: false) }
    return result
}

@_cdecl("mlt_call2")
public func mlt_call2(_ op: OpaquePointer?, _ x: OpaquePointer?, _ y: OpaquePointer?) -> OpaquePointer? {
    var result: OpaquePointer?
    _ = status { result = try call(op, x, y, brief: false) }
    return result
}

@_cdecl("mlt_brief1")
public func mlt_brief1(_ op: OpaquePointer?, _ x: OpaquePointer?) -> OpaquePointer? {
    (try? call(op, x, brief: true)) ?? nil
}

@_cdecl("mlt_brief2")
public func mlt_brief2(_ op: OpaquePointer?, _ x: OpaquePointer?, _ y: OpaquePointer?) -> OpaquePointer? {
    (try? call(op, x, y, brief: true)) ?? nil
}

/// A call of one input; nil only where it should be brief and is not.
@inline(__always)
private func call(_ op: OpaquePointer?, _ x: OpaquePointer?, brief: Bool) throws -> OpaquePointer? {
    try handles.use(op, as: OpObject.self) { op in
        try handles.use(x, as: TensorObject.self) { x in
            if x.symbol == nil,
                let (type, memory) = try op.op.quick(x.type, x.pointer, nil, nil, pin: x.pin, brief: brief)
            {
                return try handles.add(TensorObject(type, memory, pin: x.pin))
            }
            return brief ? nil : try handles.add(only(op, op.call([x])))
        }
    }
}

/// A call of two inputs; nil only where it should be brief and is not.
@inline(__always)
private func call(_ op: OpaquePointer?, _ x: OpaquePointer?, _ y: OpaquePointer?, brief: Bool) throws -> OpaquePointer?
{
    try handles.use(op, as: OpObject.self) { op in
        try handles.use(x, as: TensorObject.self) { x in
            try handles.use(y, as: TensorObject.self) { y in
                if x.symbol == nil, y.symbol == nil, x.pin === y.pin,
                    let (type, memory) = try op.op.quick(
                        x.type, x.pointer, y.type, y.pointer, pin: x.pin, brief: brief)
                {
                    return try handles.add(TensorObject(type, memory, pin: x.pin))
                }
                return brief ? nil : try handles.add(only(op, op.call([x, y])))
            }
        }
    }
}

private func only(_ op: OpObject, _ results: [TensorObject]) throws -> TensorObject {
    guard results.count == 1 else {
        throw Failure(.invalidArgument, "op '\(op.op.op.name)' gives \(results.count) results; take mlt_call.")
    }
    return results[0]
}

/// Texts of the caller's in an array.
private func texts(_ array: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int32, _ what: String) throws -> [String] {
    guard count >= 0, array != nil || count == 0 else {
        throw Failure(.invalidArgument, "The names of the \(what) are NULL or their number is \(count).")
    }
    return try UnsafeBufferPointer(start: array, count: Int(count)).map { try text($0, "name among the \(what)") }
}

@_cdecl("mlt_tensor_part")
public func mlt_tensor_part(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ tensor: OpaquePointer?, _ offset: Int, _ rank: Int32,
    _ shape: UnsafePointer<Int64>?
) -> mlt_status {
    status {
        try give(out) {
            try handles.use(tensor, as: TensorObject.self) { object in
                let whole = try object.known
                let type = try tensorType(mlt_dtype(whole.dtype.rawValue), rank, shape)
                let (end, overflow) = offset.addingReportingOverflow(type.byteCount)
                guard whole.dtype != .string, offset >= 0, !overflow, end <= whole.type.byteCount,
                    offset.isMultiple(of: max(whole.dtype.size, 1))
                else {
                    throw Failure(
                        .outOfRange,
                        "A part of shape \(type.shape) from byte \(offset) does not lie in a tensor of shape \(whole.shape)."
                    )
                }
                return TensorObject(
                    Tensor(type, storage: whole.storage, byteOffset: whole.byteOffset + offset), pin: object.pin)
            }
        }
    }
}

@_cdecl("mlt_tensor_to")
public func mlt_tensor_to(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ tensor: OpaquePointer?, _ device: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        try give(out) {
            let pin = try device.map { try Martlet.pin(to: text($0, "name of the device")) }
            return try handles.use(tensor, as: TensorObject.self) { TensorObject(try $0.known, pin: pin) }
        }
    }
}

@_cdecl("mlt_tensor_device")
public func mlt_tensor_device(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ tensor: OpaquePointer?) -> mlt_status {
    status {
        try give(out) { TextObject(try handles.use(tensor, as: TensorObject.self) { $0.pin?.device.name ?? "auto" }) }
    }
}

// MARK: Traces

final class TraceObject: Handled {
    static let kind = HandleKind.trace
    let trace = Trace()
}

@_cdecl("mlt_trace_begin")
public func mlt_trace_begin(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status { try give(out) { TraceObject() } }
}

@_cdecl("mlt_trace_input")
public func mlt_trace_input(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ trace: OpaquePointer?, _ name: UnsafePointer<CChar>?,
    _ dtype: mlt_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?
) -> mlt_status {
    status {
        try give(out) {
            let type = try tensorType(dtype, rank, shape)
            return try handles.use(trace, as: TraceObject.self) { object in
                let (id, type) = try object.trace.input(text(name, "name of the input"), type)
                return TensorObject(type, symbol: TensorObject.Symbol(trace: object.trace, id: id))
            }
        }
    }
}

@_cdecl("mlt_trace_end")
public func mlt_trace_end(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ trace: OpaquePointer?, _ count: Int32,
    _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ outputs: UnsafePointer<OpaquePointer?>?
) -> mlt_status {
    status {
        try give(out) {
            let names = try texts(names, count, "outputs")
            guard outputs != nil || count == 0 else { throw Failure(.invalidArgument, "The outputs are NULL.") }
            let objects = try UnsafeBufferPointer(start: outputs, count: Int(count)).map {
                try handles.use($0, as: TensorObject.self) { $0 }
            }
            let function = try handles.use(trace, as: TraceObject.self) { try $0.trace.end(zip(names, objects)) }
            return ModelObject(try Model(Program(functions: [function])), path: nil)
        }
    }
}

extension Trace {
    /// Ends the trace with these tensors as outputs; those with values become constants.
    fileprivate func end(_ outputs: Zip2Sequence<[String], [TensorObject]>) throws -> Function {
        let ids = try outputs.map { name, object in
            if let symbol = object.symbol, symbol.trace !== self {
                throw Failure(.invalidArgument, "The output '\(name)' belongs to another trace.")
            }
            return (name: name, id: try object.symbol?.id ?? constant(object.tensor))
        }
        return try end(ids)
    }

    private func constant(_ tensor: Tensor) throws -> ValueID {
        try append { [$0.constant(tensor, name: "constant_\($0.values.count)")] }[0].0
    }
}
