// The structured answers of martlet.h, as JSON.

import CPUEngine
import Martlet
import ModelFiles

func infoAnswer() -> JSON {
    [
        "version": .string(Martlet.version), "swift": .string(swiftVersion), "onednn": .text(CPUInfo.oneDNN),
        "platform": .string(platform), "isa": .string(CPUInfo.isa), "processors": .integer(CPUInfo.processors),
        "threads": .integer(Threads.count), "cache": .text((try? CacheFolder.ofUser())?.path),
    ]
}

func devicesAnswer() -> JSON {
    .array(
        allDevices().map { device in
            var reason: String?
            if case .unavailable(let why) = device.availability { reason = why }
            return [
                "name": .string(device.name), "kind": .string(device.kind.rawValue),
                "summary": .string(device.summary), "available": .bool(reason == nil), "reason": .text(reason),
                "memory_limit": device.memoryLimit.map(JSON.integer) ?? .null,
                "compute_units": device.computeUnits.map(JSON.integer) ?? .null,
            ]
        })
}

func opsAnswer() -> JSON {
    .array(
        (OpTable.rows + OpTable.customRows).map { op in
            [
                "name": .string(op.name), "family": .string(op.family.rawValue), "words": .string(op.words),
                "expands": .bool(op.expansion != nil), "core_ml": .bool(op.isCoreML),
                "parameters": .array(op.parameters.map(answer)), "custom": op.custom.map(answer) ?? .null,
            ]
        })
}

private func answer(of custom: CustomOp) -> JSON {
    ["cpu": .bool(custom.run != nil), "pure": .bool(custom.isPure), "metal": custom.metal?.answer ?? .null]
}

private func answer(of parameter: Op.Parameter) -> JSON {
    [
        "name": .string(parameter.name), "words": .string(parameter.words),
        "dtypes": .array(DataType.allCases.filter(parameter.dtypes.contains).map { .string($0.name) }),
        "constant": .bool(parameter.isConstant), "list": .bool(parameter.isList),
        "optional": .bool(parameter.isOptional),
        "default": parameter.defaultValue.map(answer) ?? .null,
    ]
}

/// A default value: one element, or a list of them.
private func answer(of tensor: Tensor) -> JSON {
    func element(_ index: Int) -> JSON {
        switch tensor.dtype {
        case .string: .string(tensor.strings[index])
        case .bool: .bool(tensor.double(at: index) != 0)
        case let dtype where dtype.isInteger:
            tensor.int(at: index).map(JSON.integer) ?? .number(tensor.double(at: index))
        case .float32: .number(Double("\(Float(tensor.double(at: index)))") ?? tensor.double(at: index))
        default: .number(tensor.double(at: index))
        }
    }
    return tensor.shape.isEmpty ? element(0) : .array((0..<tensor.count).map(element))
}

func answer(of object: ModelObject) throws -> JSON {
    let model = object.model
    let metadata = model.metadata
    return [
        "path": .text(object.path), "kind": "mlProgram", "specification_version": .integer(model.specificationVersion),
        "default_function": .string(model.program.defaultFunction),
        "functions": .array(try model.program.functions.map { answer(of: $0, try model.interface($0.name)) }),
        "metadata": [
            "author": .string(metadata.author), "license": .string(metadata.license),
            "short_description": .string(metadata.shortDescription), "version": .string(metadata.version),
            "user_defined": .object(
                metadata.userDefined.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }),
        ],
        "weights": weights(model.program), "precision": .string(precision(model.program)),
    ]
}

private func answer(of function: Function, _ interface: Interface) -> JSON {
    let operations = function.allOperations
    let counts = operations.reduce(into: [String: Int]()) { $0[$1.op, default: 0] += 1 }
    func ports(_ features: [Feature], _ values: [ValueID]) -> JSON {
        .array(
            features.map { feature in
                answer(
                    of: feature,
                    as: values.first { function[$0].name == feature.name }.flatMap { function[$0].type.content },
                    interface.labels(of: feature.name))
            })
    }
    return [
        "name": .string(function.name), "opset": .string(function.opset),
        "inputs": ports(interface.inputs, function.inputs),
        "outputs": ports(interface.outputs, function.outputs),
        "states": ports(interface.states, function.inputs),
        "ops": .object(
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { .init($0.key, .integer($0.value)) }),
        "operations": .integer(operations.count),
    ]
}

private func answer(of feature: Feature, as type: TensorType?, _ labels: Interface.Labels?) -> JSON {
    var (kind, dtype, shape, flexibility, image) = ("", type?.dtype, type?.shape ?? [], JSON.null, JSON.null)
    switch feature.kind {
    case .multiArray(let array), .state(let array):
        if case .state = feature.kind { kind = "state" } else { kind = "multiArray" }
        dtype = array.dtype
        if !array.shape.isEmpty { shape = array.shape }
    case .image(let picture):
        kind = "image"
        image = [
            "width": .integer(picture.width), "height": .integer(picture.height),
            "color_space": .string(picture.colorSpace.word),
        ]
    case .int64: (kind, dtype) = ("int64", .int64)
    case .double: (kind, dtype) = ("double", .float64)
    case .string: (kind, dtype) = ("string", .string)
    case .dictionary: kind = "dictionary"
    case .sequence: kind = "sequence"
    }
    if let type, let shapes = try? Shapes(of: feature, as: type) {
        shape = shapes.common
        switch shapes {
        case .fixed: break
        case .enumerated(let list): flexibility = ["enumerated": .array(list.map(JSON.sizes))]
        case .ranges(let ranges):
            flexibility = ["ranges": .array(ranges.map { .sizes([$0.lower, $0.upper ?? -1]) })]
        }
    }
    return [
        "name": .string(feature.name), "kind": .string(kind), "dtype": .text(dtype?.name), "shape": .sizes(shape),
        "flexibility": flexibility, "optional": .bool(feature.isOptional),
        "description": .string(feature.shortDescription),
        "image": image, "labels": labels.map(answer) ?? .null,
    ]
}

private func answer(of labels: Interface.Labels) -> JSON {
    switch labels {
    case .strings(let names): .array(names.map(JSON.string))
    case .integers(let numbers): .array(numbers.map(JSON.integer))
    }
}

extension ValueType {
    /// The type of a tensor, or of the one that a state holds.
    fileprivate var content: TensorType? {
        if case .state(let type) = self { type } else { tensor }
    }
}

extension Feature.ColorSpace {
    fileprivate var word: String {
        switch self {
        case .grayscale: "grayscale"
        case .rgb: "rgb"
        case .bgr: "bgr"
        case .grayscaleFloat16: "grayscale_fp16"
        }
    }
}

/// Constants of ten elements or more, each piece of memory once: what Core ML keeps in the weight file.
private func weights(_ program: Program) -> JSON {
    var seen: Set<UnsafeMutableRawPointer> = []
    var bytes: [DataType: Int] = [:]
    for value in program.functions.lazy.flatMap(\.values) {
        guard let constant = value.constant, constant.dtype != .string, constant.count >= 10,
            seen.insert(constant.pointer).inserted
        else { continue }
        bytes[constant.dtype, default: 0] += constant.type.byteCount
    }
    return [
        "count": .integer(seen.count), "bytes": .integer(bytes.values.reduce(0, +)),
        "by_dtype": .object(
            bytes.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.name, .integer($0.value)) }),
    ]
}

/// The floating-point type the program computes in; casts at its borders do not count.
private func precision(_ program: Program) -> String {
    var types: Set<DataType> = []
    for function in program.functions {
        for operation in function.allOperations where operation.op != "cast" {
            for id in operation.outputs {
                if let dtype = function[id].type.tensor?.dtype, dtype.isFloat { types.insert(dtype) }
            }
        }
    }
    return types.count > 1 ? "mixed" : types.first?.name ?? "fp32"
}

func answer(of predictor: Predictor) -> JSON {
    func ports(_ ports: [Port]) -> JSON {
        .array(
            ports.map {
                ["name": .string($0.name), "dtype": .string($0.type.dtype.name), "shape": .sizes($0.type.shape)]
            })
    }
    return [
        "device": .string(predictor.deviceName), "reason": .string(predictor.reason),
        "function": .string(predictor.function.name),
        "inputs": ports(predictor.inputs), "outputs": ports(predictor.outputs), "states": ports(predictor.states),
    ]
}

func answer(of plan: Plan) -> JSON {
    [
        "device": .string(plan.device), "reason": .string(plan.reason),
        "steps": .array(
            plan.steps.map { step in
                [
                    "ops": .array(step.ops.map(JSON.string)), "output": .string(step.output),
                    "type": .string(step.type.description), "kernel": .string(step.kernel),
                    "reason": .string(step.reason), "processor": .string(step.processor),
                    "known": .string(step.known.rawValue),
                ]
            }),
        "workspace_bytes": .integer(plan.workspaceBytes), "packed_bytes": .integer(plan.packedBytes),
    ]
}

extension JSON: ExpressibleByDictionaryLiteral, ExpressibleByStringLiteral {
    public init(dictionaryLiteral members: (String, JSON)...) { self = .object(members.map { Member($0.0, $0.1) }) }
    public init(stringLiteral text: String) { self = .string(text) }

    static func text(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }
    static func sizes(_ sizes: [Int]) -> JSON { .array(sizes.map(JSON.integer)) }
}

private var swiftVersion: String {
    #if compiler(>=6.4)
        "6.4"
    #elseif compiler(>=6.3)
        "6.3"
    #elseif compiler(>=6.2)
        "6.2"
    #elseif compiler(>=6.1)
        "6.1"
    #else
        "6.0"
    #endif
}

private var platform: String {
    #if os(Linux)
        let system = "linux"
    #elseif os(macOS)
        let system = "macos"
    #elseif os(iOS)
        let system = "ios"
    #else
        let system = "other"
    #endif
    #if arch(x86_64)
        return system + "-x86_64"
    #elseif arch(arm64)
        return system + (system == "linux" ? "-aarch64" : "-arm64")
    #else
        return system
    #endif
}
