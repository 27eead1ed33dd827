import MIL

// Images in another size, and read at coordinates.

public enum MPSGraphResizeMode: UInt, Sendable {
    case nearest = 0
    case bilinear = 1
}

extension MPSGraph {
    public func resize(
        _ imagesTensor: MPSGraphTensor, size: [NSNumber], mode: MPSGraphResizeMode, centerResult: Bool,
        alignCorners: Bool, layout: MPSGraphTensorNamedDataLayout, name: String?
    ) -> MPSGraphTensor {
        guard layout == .NCHW, mode == .bilinear, type(imagesTensor).rank == 4, size.count == 2 else {
            graphAbort("\(type(imagesTensor)) resized as \(layout) by \(mode), which no stand-in plays")
        }
        let sampling = alignCorners ? "STRICT_ALIGN_CORNERS" : centerResult ? "UNALIGN_CORNERS" : "DEFAULT"
        return emit(
            "resize_bilinear",
            [
                "x": imagesTensor, "target_size_height": size[0].intValue, "target_size_width": size[1].intValue,
                "sampling_mode": sampling,
            ], name)
    }

    public func sampleGrid(
        withSourceTensor source: MPSGraphTensor, coordinateTensor coordinates: MPSGraphTensor,
        layout: MPSGraphTensorNamedDataLayout, normalizeCoordinates: Bool, relativeCoordinates: Bool,
        alignCorners: Bool, paddingMode: MPSGraphPaddingMode, samplingMode: MPSGraphResizeMode, constantValue: Double,
        name: String?
    ) -> MPSGraphTensor {
        guard paddingMode == .zero, layout == .NCHW, normalizeCoordinates, !relativeCoordinates,
            type(source).dtype == type(coordinates).dtype
        else { graphAbort("\(type(source)) sampled at \(type(coordinates)), which no stand-in plays") }
        return emit(
            "resample",
            [
                "x": source, "coordinates": coordinates,
                "sampling_mode": samplingMode == .nearest ? "nearest" : "bilinear", "padding_mode": "constant",
                "padding_value": Float(0), "coordinates_mode": "normalized_minus_one_to_one",
                "align_corners": alignCorners,
            ], name)
    }
}
