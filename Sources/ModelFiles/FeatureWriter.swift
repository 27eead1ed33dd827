import MIL

extension ProtobufWriter {
    mutating func description(_ model: Model) throws {
        if model.interfaces.count == 1 {
            let interface = model.interfaces[0]
            for feature in interface.inputs { try message(1) { try $0.feature(feature) } }
            for feature in interface.outputs { try message(10) { try $0.feature(feature) } }
            optional(11, interface.predictedFeature)
            optional(12, interface.predictedProbabilities)
            for feature in interface.states { try message(13) { try $0.feature(feature) } }
        } else {
            for interface in model.interfaces { try message(20) { try $0.functionDescription(interface) } }
            string(21, model.program.defaultFunction)
        }
        let metadata = model.metadata
        message(100) { writer in
            writer.optional(1, metadata.shortDescription)
            writer.optional(2, metadata.version)
            writer.optional(3, metadata.author)
            writer.optional(4, metadata.license)
            for (name, text) in metadata.userDefined.sorted(by: { $0.key < $1.key }) {
                writer.message(100) { entry in
                    entry.string(1, name)
                    entry.string(2, text)
                }
            }
        }
    }

    private mutating func optional(_ field: Int, _ text: String) { if !text.isEmpty { string(field, text) } }

    private mutating func functionDescription(_ interface: Interface) throws {
        string(1, interface.function)
        for feature in interface.inputs { try message(2) { try $0.feature(feature) } }
        for feature in interface.outputs { try message(3) { try $0.feature(feature) } }
        optional(4, interface.predictedFeature)
        optional(5, interface.predictedProbabilities)
        for feature in interface.states { try message(6) { try $0.feature(feature) } }
    }

    private mutating func feature(_ feature: Feature) throws {
        string(1, feature.name)
        optional(2, feature.shortDescription)
        do {
            try message(3) { type in
                try type.kind(feature.kind)
                if feature.isOptional { type.int(1000, 1) }
            }
        } catch let failure as Failure {
            throw failure.at("The feature '\(feature.name)'")
        }
    }

    private mutating func kind(_ kind: Feature.Kind) throws {
        switch kind {
        case .int64: message(1) { _ in }
        case .double: message(2) { _ in }
        case .string: message(3) { _ in }
        case .image(let image): message(4) { $0.image(image) }
        case .multiArray(let array): try message(5) { try $0.multiArray(array) }
        case .dictionary(let key): message(6) { $0.message(key == .int64 ? 1 : 2) { _ in } }
        case .sequence(let element, let length):
            message(7) { sequence in
                sequence.message(element == .int64 ? 1 : 3) { _ in }
                sequence.message(101) { $0.range(length) }
            }
        case .state(let array): try message(8) { state in try state.message(1) { try $0.multiArray(array) } }
        }
    }

    private mutating func range(_ range: Feature.SizeRange) {
        int(1, range.lower)
        int(2, range.upper ?? -1)
    }

    private mutating func multiArray(_ array: Feature.MultiArray) throws {
        guard let code = Feature.MultiArray.code(of: array.dtype) else {
            throw Failure(
                .unsupported,
                "Inputs and outputs of a model file hold fp16, fp32, fp64, int8 or int32, not \(array.dtype.name).")
        }
        if !array.shape.isEmpty { packed(1, array.shape) }
        int(2, code)
        switch array.flexibility {
        case .fixed: break
        case .enumerated(let shapes):
            message(21) { list in
                for shape in shapes { list.message(1) { $0.packed(1, shape) } }
            }
        case .ranges(let ranges):
            message(31) { list in
                for range in ranges { list.message(1) { $0.range(range) } }
            }
        }
        guard let value = array.defaultValue else { return }
        switch array.dtype {
        case .float64: double(61, value)
        case .float32, .float16: float(51, Float(value))
        default: int(41, Int(exactly: value.rounded(.towardZero)) ?? 0)
        }
    }

    private mutating func image(_ image: Feature.Image) {
        int(1, image.width)
        int(2, image.height)
        int(3, image.colorSpace.rawValue)
        switch image.flexibility {
        case .fixed: break
        case .enumerated(let sizes):
            message(21) { list in
                for size in sizes {
                    list.message(1) { entry in
                        entry.int(1, size.width)
                        entry.int(2, size.height)
                    }
                }
            }
        case .ranges(let width, let height):
            message(31) { ranges in
                ranges.message(1) { $0.range(width) }
                ranges.message(2) { $0.range(height) }
            }
        }
    }
}
