import MIL

// `crop_resize` before iOS 17: one tensor `roi` of rank 5, and a result of rank 5.

extension Function {
    /// The most crops of one call, so that a hostile file cannot ask for a huge constant.
    private static let mostCrops = 1 << 20

    /// Replaces regions of interest by boxes and the image of each, as newer opsets have them.
    mutating func splitRegions() throws {
        func hasRegions(_ operation: Operation) -> Bool { operation.op == "crop_resize" && operation["roi"] != nil }
        let count = allOperations.filter(hasRegions).count
        guard count > 0 else { return }
        guard count == block.operations.filter(hasRegions).count else {
            throw Failure(
                .unsupported,
                "op 'crop_resize' of \(opset) stands in a nested block; convert the model for iOS 17 or later.")
        }
        let pending = block.operations
        block.operations = []
        for operation in pending {
            if hasRegions(operation) { try appendCrops(operation) } else { block.operations.append(operation) }
        }
        // Saved again, the function needs the first opset with boxes.
        if let rank = Opset.rank(opset), let first = Opset.rank("CoreML7"), rank < first { opset = "CoreML7" }
    }

    private mutating func appendCrops(_ operation: Operation) throws {
        guard let output = operation.outputs.first, operation.outputs.count == 1,
            let roi = operation["roi"]?.first, let x = operation["x"]?.first,
            let regions = self[roi].type.tensor?.shape, let images = self[x].type.tensor?.shape
        else { throw Failure(.malformed, "op 'crop_resize' must have tensors x and roi, and one output.") }
        let name = self[output].name
        let place = "op 'crop_resize' (\(name))"
        guard regions.count == 5, regions[0] > 0, [4, 5].contains(regions[2]), images.count == 4,
            [regions[1], regions[3], regions[4]] == [1, 1, 1]
        else {
            throw Failure(
                .malformed,
                "\(place): x has shape \(images) and roi \(regions); they must be [batch, channels, height, width] and "
                    + "[regions, 1, 4 or 5, 1, 1].")
        }
        let count = regions[0]
        // Regions of five numbers begin with that of their image; those of four are cut from every image.
        let copies = regions[2] == 5 ? 1 : images[0]
        guard copies > 0 else {
            throw Failure(
                .unsupported,
                "\(place): The batch of x is unknown; then each region must begin with its image's number.")
        }
        let (total, overflow) = count.multipliedReportingOverflow(by: copies)
        guard !overflow, total <= Self.mostCrops else {
            throw Failure(
                .outOfRange, "\(place): \(count) regions of \(copies) images are more than \(Self.mostCrops) crops.")
        }
        let (boxes, indices): (ValueID, ValueID)
        if regions[2] == 5 {
            let rows = try reshaped(roi, [count, 5], "\(name)_regions")
            boxes = try columns(of: rows, from: 1, size: 4, count, "\(name)_boxes")
            let first = try columns(of: rows, from: 0, size: 1, count, "\(name)_image")
            let dtype = constant(Tensor("int32"), name: "\(name)_dtype")
            indices = try append(
                "cast", name: "\(name)_box_indices",
                ["x": [reshaped(first, [count], "\(name)_images")], "dtype": [dtype]])[0]
        } else {
            let rows = try reshaped(roi, [count, 1, 4], "\(name)_regions")
            let reps = constant(Tensor([1, Int32(copies), 1]), name: "\(name)_reps")
            let all = try append("tile", name: "\(name)_tiled", ["x": [rows], "reps": [reps]])[0]
            boxes = try reshaped(all, [total, 4], "\(name)_boxes")
            indices = constant(Tensor((0..<total).map { Int32($0 % copies) }), name: "\(name)_box_indices")
        }
        let arguments =
            operation.arguments.filter { $0.name != "roi" }
            + [Argument("boxes", [boxes]), Argument("box_indices", [indices])]
        let crops = try append(Operation("crop_resize", arguments, outputs: []), name: "\(name)_crops")[0]
        let shape = [count, copies] + (self[crops].type.tensor?.shape.dropFirst() ?? [])
        let sizes = constant(Tensor(shape.map { Int32(clamping: $0) }), name: "\(name)_shape")
        block.operations.append(
            Operation("reshape", [Argument("x", [crops]), Argument("shape", [sizes])], outputs: [output]))
    }

    private mutating func reshaped(_ x: ValueID, _ shape: [Int], _ name: String) throws -> ValueID {
        let sizes = constant(Tensor(shape.map { Int32(clamping: $0) }), name: "\(name)_shape")
        return try append("reshape", name: name, ["x": [x], "shape": [sizes]])[0]
    }

    private mutating func columns(of rows: ValueID, from start: Int32, size: Int32, _ count: Int, _ name: String)
        throws -> ValueID
    {
        let begin = constant(Tensor([0, start]), name: "\(name)_begin")
        let sizes = constant(Tensor([Int32(count), size]), name: "\(name)_size")
        return try append("slice_by_size", name: name, ["x": [rows], "begin": [begin], "size": [sizes]])[0]
    }
}
